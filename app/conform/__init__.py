"""`saga conform`: tries whether a participant keeps each line of its contract.

`lines` names the lines, `trials` tries them, `bench` sends the calls, and `report` writes the findings.
"""
