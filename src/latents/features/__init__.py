"""From raw data to the numbers that models read: words counted, pixels checked and scaled."""
