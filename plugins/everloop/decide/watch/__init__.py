"""What is watched of a release that serves: drift, the relation of inputs and label, performance, and when to train again."""
