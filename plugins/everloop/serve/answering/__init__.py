"""Who answers which row, by which release: batches, arms, what is told of them, and what is scored in their shadow."""
