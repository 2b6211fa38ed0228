"""The program, as `python -m longsurv.cli`."""

from longsurv.cli.program import process

if __name__ == "__main__":
    process()
