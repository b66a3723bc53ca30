"""The page that a rehearsal leaves behind: one file, no other host, in Korean and in English."""
