"""Text for people: bounded where it is of foreign origin, and written no more often than helps."""
