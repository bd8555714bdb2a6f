# Runs a program of a suite as if it had been started with its arguments.
import json
import sys

told = json.load(sys.stdin)
sys.argv = [told["name"], *told["arguments"]]
exec(compile(told["source"], told["name"], "exec"), {"__name__": "__main__", "__file__": told["name"]})
