from helpers.devices import best_runtime
from helpers.display import device_report, show_source
from helpers.losses import rmse


def test_show_source_shows_the_code_that_runs_and_its_file():
    markdown = show_source(rmse).data
    assert markdown.startswith("*helpers/losses.py*\n```python\ndef rmse(pred, true, mask=None):")
    assert "(pred - true) ** 2" in markdown
    assert markdown.endswith("\n```")


def test_the_device_report_names_device_precision_and_versions():
    report = device_report(best_runtime("cpu"))
    for word in ("cpu", "precision", "torch", "albumentations", "opencv"):
        assert word in report
