def get_assert(output, context):
    return {"pass": context["vars"]["word"] in output, "score": 0.6, "reason": "looked"}


def named(output, context):
    return len(output)
