"""What turns an encoded matrix into raw probabilities: XGBoost itself, or something faster that was proved equal to it."""
