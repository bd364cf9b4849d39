"""What the projects are made of: files as given and accepted with what lies beside them, and a recipe for each image.

``./dev long projects`` runs them.
"""

from pathlib import Path

import pytest
from tests.e2e.projects.cases import COMPOSE, PROJECTS, Project, lay_out
from tests.images import recipes

from skerry.manifest.values import Options
from skerry.sdk.manifests import read_manifest

each_project = pytest.mark.parametrize("project", PROJECTS.values(), ids=list(PROJECTS))


@each_project
def test_the_file_is_accepted_and_its_images_are_all_here(project: Project, tmp_path: Path) -> None:
    files = [str(path) for path in lay_out(project, tmp_path / "project")]
    assert Path(files[0]).read_bytes() == project.file.read_bytes()
    pushed = list(project.built)
    manifest = read_manifest(files, environment={}, options=Options(project=project.name), list_pushed=lambda: pushed)
    wanted = {recipes.full_reference(use.name) for use in manifest.images}
    assert wanted == {recipes.full_reference(name) for name in (*project.images, *project.built)}
    for name in (*project.images, *project.built.values()):
        assert recipes.recipe_of(name)


def test_six_given_files_are_run_and_each_folder_beside_them_is_used() -> None:
    given = [project for project in PROJECTS.values() if "mqtt-flows" not in project.file.name]
    assert len(given) >= 6
    beside = {path.name for path in (COMPOSE / "beside").iterdir() if path.is_dir()}
    assert {project.beside for project in given} - {""} == beside
