"""What every capability stands on: time, identity, money, outcomes and lanes. No I/O lives here."""
