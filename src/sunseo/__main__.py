"""`python -m sunseo`."""

from sunseo.cli import main

if __name__ == "__main__":
    main()
