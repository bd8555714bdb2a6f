# Runs one assertion's script and tells what it gave back, behind the mark.
import asyncio
import inspect
import json
import sys

told = json.load(sys.stdin)
try:
    space = {"__name__": "script", "__file__": told["name"]}
    exec(compile(told["source"], told["name"], "exec"), space)
    value = space[told["function"]](told["output"], told["context"])
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    answer = json.dumps({"value": value}, allow_nan=False)
except BaseException as error:
    answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
sys.stdout.write("\n" + told["mark"] + answer)
sys.stdout.flush()
