"""The sample application's own tests; its buildspec runs them in the Build stage."""

import unittest

import application


def get(path: str) -> tuple[str, str]:
    """Status and text of one request."""
    seen: list[str] = []
    body = application.application({"PATH_INFO": path}, lambda status, headers: seen.append(status))
    return seen[0], b"".join(body).decode()


class ApplicationTest(unittest.TestCase):
    def test_release_names_its_version(self) -> None:
        self.assertRegex(application.release_version(), r"^v\d+", "release.json has no version")

    def test_page_shows_the_version(self) -> None:
        status, text = get("/")
        self.assertEqual(status, "200 OK")
        self.assertIn(application.release_version(), text)

    def test_page_escapes_what_came_from_outside(self) -> None:
        self.assertNotIn("<b>", application.page({"ENVIRONMENT_NAME": "<b>"}))

    def test_health_is_ok(self) -> None:
        self.assertEqual(get("/health"), ("200 OK", "ok\n"))

    def test_unknown_path_is_not_found(self) -> None:
        self.assertTrue(get("/nowhere")[0].startswith("404"))


if __name__ == "__main__":
    unittest.main()
