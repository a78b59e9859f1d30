"""A/A: rollouts and experiments of releases that are equally good, over real flights and made traffic."""
