"""Execution: approved weights become orders, orders meet the open of a later bar, and an account keeps the score."""
