"""What numbers may be said to show: intervals for one look and for any number of looks, and comparisons of two models."""
