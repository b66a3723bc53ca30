"""Orders: what a confirmed hold becomes.

An order changes rows of its own together with the inventory that it sells, so it takes part in
the inventory's batch. Payment will join here; today a hold is confirmed whose price is zero.
"""
