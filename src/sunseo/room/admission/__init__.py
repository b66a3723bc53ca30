"""What a visitor has to show before she joins: proof of work, Turnstile, her address."""
