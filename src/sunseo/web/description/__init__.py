"""What the server says about itself: its OpenAPI document and its problems."""
