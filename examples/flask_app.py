"""A Flask application: `pip install flask`, then `rwsgi flask_app:app`."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return {"hello": request.args.get("name", "World")}


@app.post("/upload")
def upload():
    file = request.files["file"]
    return {"name": file.filename, "size": len(file.read())}


@app.get("/stream")
def stream():
    return app.response_class((f"line {number}\n" for number in range(10)), mimetype="text/plain")
