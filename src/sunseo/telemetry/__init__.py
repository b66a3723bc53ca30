"""What the house says about itself: metrics and logs. Nothing here knows a business word."""
