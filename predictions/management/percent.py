"""A percentage as an argument of a command."""

import argparse


def percent(text: str) -> int:
    """A whole number from 0 to 100, with or without %. Raises ArgumentTypeError, which argparse shows."""
    plain = text.strip().removesuffix("%").strip()
    if not (plain.isascii() and plain.isdigit() and len(plain) < 4 and int(plain) <= 100):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 100")
    return int(plain)
