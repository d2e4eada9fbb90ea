"""How sure a number is: distributions, tests, intervals, design effects."""
