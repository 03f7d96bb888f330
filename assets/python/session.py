# Runs the model's code inside the interpreter: one namespace for the whole conversation, the last expression shown like
# in a notebook, tracebacks without our own frames, figures as PNG. Nothing here keeps anybody in: the walls around the
# process do (docs/tools.md). Next: runner.mjs, which calls `run`.
import builtins
import io
import sys
import time
import traceback

from pyodide.code import eval_code_async

namespace = {"__name__": "__main__", "__builtins__": builtins, "__doc__": None}
count = 0


def interruptible(sleep):
    def slices(seconds, /):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.05:
            sleep(0.05)  # signals are looked at in between
        sleep(max(0, left))

    return slices


time.sleep = interruptible(time.sleep)


async def run(code):
    """Returns 'ok', 'error', 'interrupted' or 'exit'; everything to read was printed."""
    global count
    count += 1
    filename = f"<cell {count}>"
    try:
        value = await eval_code_async(code, globals=namespace, filename=filename)
        if value is not None:
            namespace["_"] = value
            print(repr(value))
        return "ok"
    except KeyboardInterrupt:
        print("KeyboardInterrupt: the code was stopped", file=sys.stderr)
        return "interrupted"
    except SystemExit as end:
        print(f"SystemExit: {end.code}", file=sys.stderr)
        return "exit"
    except BaseException as error:
        show(error, filename)
        return "error"
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def show(error, filename):
    frame = error.__traceback__
    while frame is not None and not frame.tb_frame.f_code.co_filename.startswith("<cell "):
        frame = frame.tb_next
    # Source lines of cells are in no file; the line numbers are what helps.
    text = "".join(traceback.format_exception(type(error), error, frame, limit=-8))
    print(text, end="", file=sys.stderr)


def figures():
    """Open figures as PNG; they are closed."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    images = []
    if pyplot is None:
        return images
    for number in pyplot.get_fignums()[:8]:
        target = io.BytesIO()
        pyplot.figure(number).savefig(target, format="png")
        images.append(target.getvalue())
    pyplot.close("all")
    return images
