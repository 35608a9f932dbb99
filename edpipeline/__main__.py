"""`python -m edpipeline`: the same as the `edpipeline` command."""

from edpipeline.cli import app

if __name__ == "__main__":
    app()
