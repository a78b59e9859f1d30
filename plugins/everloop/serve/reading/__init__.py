"""Rows of JSON as they come: typed by the plan, held to the suite, every problem told at once. Tables: `columns`."""
