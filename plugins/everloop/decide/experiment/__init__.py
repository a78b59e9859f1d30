"""What an A/B experiment between two releases needs beforehand, shows as it runs, and leads to."""
