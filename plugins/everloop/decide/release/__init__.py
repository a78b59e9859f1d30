"""What may be released and how far: the gate, the rollout and its guardrails."""
