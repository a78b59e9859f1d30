"""Pure decisions: numbers, a policy and `now` go in; a verdict or an action comes out."""
