"""Run the verifier: `python -m sunseo.drawcheck FILE`."""

import sys

from .verifier import main

sys.exit(main())
