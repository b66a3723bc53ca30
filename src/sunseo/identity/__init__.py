"""Who calls: persons, guests and operators, told by what they show."""
