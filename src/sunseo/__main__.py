"""`python -m sunseo`."""

from sunseo.cli.main import main

if __name__ == "__main__":
    main()
