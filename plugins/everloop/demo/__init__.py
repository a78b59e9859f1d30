"""The world of the shipped use case: an airline's database, its weather files, its traffic in 2013."""
