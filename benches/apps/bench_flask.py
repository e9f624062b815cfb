"""Flask's part of the loads in ../loads.py: one view that answers JSON."""

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def answer():
    return jsonify(message="Hello, World!")
