"""Feature selection: what each feature says of a label, what the two-tower would miss without it,
and a list of those worth keeping that a config can adopt.

    labels ──> mutual_information ──┐
    the current bundle ──> importance ──> select ──> feature_list, report
"""
