"""The forms in which rows come and answers go: JSON, Arrow, and what clients of other systems speak."""
