"""An uncaught exception: the traceback belongs on stderr, what was printed before it on stdout, and the exit code is 1."""
print("before")


def inner(x):
    return 1 / x


def outer(x):
    try:
        return inner(x)
    except ZeroDivisionError as e:
        raise ValueError(f"cannot use {x}") from e


outer(0)
