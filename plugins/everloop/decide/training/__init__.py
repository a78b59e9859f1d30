"""How a model is fitted: where, and which parameters are tried."""
