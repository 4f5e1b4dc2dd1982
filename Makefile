# Two commands:  make course  (notebooks, site, recommendations)   make test  (every test)
# Another Python than the one found:  make course PYTHON=python3.12

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
COURSE := $(BIN)/course

BENCHMARKS := bench bench-ann bench-serving bench-retrieval bench-history bench-ranking bench-recommender bench-original bench-growth bench-workers bench-course

# What `make check` runs: no notebook, no training, no server.
FAST := tests/test_course.py tests/metrics tests/grading/test_core.py tests/grading/test_comparison.py \
	$(addprefix tests/data/test_,splits.py names.py interactions.py) \
	$(addprefix tests/authoring/test_,notebooks.py exercises.py terms.py mathml.py learners_path.py contributing.py shown_outputs.py)

.PHONY: $(BENCHMARKS) help course test check environment lock test-colab clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

course: environment ## install, get the data, run every chapter, build the site, recommend five films
	@$(COURSE) data
	@$(COURSE) run
	@$(COURSE) site
	@$(COURSE) welcome

test: environment ## the same set-up, then all tests, the notebooks among them
	@$(COURSE) data
	@$(BIN)/python -m pytest --nbval -n 2 tests solutions

check: environment ## before a commit, in less than a minute: ruff, types (mypy), derived files, fast tests
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m mypy
	@$(COURSE) build --check
	@$(BIN)/python -m pytest -q -n 2 $(FAST)

test-colab: environment ## run every chapter in a fresh environment with Colab's packages, outside the repository
	@$(BIN)/python -m recsys_course.authoring.colab_check

environment: # .venv from the lock file; does nothing where it is up to date
	@test -n "$(PYTHON)" || { echo "set-up: no Python 3.11, 3.12 or 3.13 was found: install one (python.org, or your system's packages) and run the same command again, or name it, as in: make course PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -I recsys_course/authoring/environment.py

# Each rewrites its part of benchmarks/results and docs/results; the last line of each, the page of all results.
bench: environment ## all benchmarks, and what falls short of a target (four hours; U1=path/to/u1.test); QUICK=1 takes five minutes
	@$(if $(U1),COURSE_U1_TEST="$(U1)") $(BIN)/python -m benchmarks $(if $(QUICK),--quick)

bench-ann: environment ## measure the nearest-neighbour indices; SIZE=small takes a minute, the default twenty; SIZE=huge: ten million items
	@$(BIN)/python -m benchmarks.ann --size $(or $(SIZE),full) --minutes $(or $(MINUTES),20)
	@$(BIN)/python -m benchmarks.overview

bench-serving: environment ## course serve beside KServe and LitServe, same artefact (10 minutes the first time)
	@$(BIN)/python -m benchmarks.serving
	@$(BIN)/python -m benchmarks.overview

bench-retrieval: environment ## retrieval models, baselines and a peer on three splits (half an hour); QUICK=1 takes one minute
	@$(BIN)/python -m benchmarks.retrieval $(if $(QUICK),--quick)
	@$(BIN)/python -m benchmarks.overview

bench-history: environment ## queries from histories: ladder, ablation, new films; three seeds (15 minutes)
	@$(BIN)/python -m benchmarks.history
	@$(BIN)/python -m benchmarks.overview

bench-ranking: environment ## predicted ratings, five seeds (20 minutes); U1=path/to/u1.test adds GroupLens' own split; QUICK=1 takes half a minute
	@$(if $(U1),COURSE_U1_TEST="$(U1)") $(BIN)/python -m benchmarks.ranking $(if $(QUICK),--quick)
	@$(BIN)/python -m benchmarks.overview

bench-recommender: environment ## what ranking adds to retrieval, what variety costs; two splits, three seeds (8 minutes)
	@$(BIN)/python -m benchmarks.recommender
	@$(BIN)/python -m benchmarks.overview

bench-original: environment ## the original tutorial's work, its way and the course's (20 minutes); QUICK=1 takes one
	@$(BIN)/python -m benchmarks.original $(if $(QUICK),--quick)
	@$(BIN)/python -m benchmarks.overview

bench-growth: environment ## how pipeline, training and evaluation grow (4 minutes); QUICK=1 takes half a minute
	@$(BIN)/python -m benchmarks.growth $(if $(QUICK),--quick)
	@$(BIN)/python -m benchmarks.overview

bench-workers: environment ## two workers against one process, one of them killed on the way (4 minutes); QUICK=1 takes one
	@$(BIN)/python -m benchmarks.workers $(if $(QUICK),--quick)
	@$(BIN)/python -m benchmarks.overview

bench-course: environment ## the same outputs every time, times of the chapters, both commands in a clean clone (80 minutes); QUICK=1 takes one
	@$(BIN)/python -m benchmarks.course $(if $(QUICK),--quick)
	@$(BIN)/python -m benchmarks.overview

lock: ## renew requirements.lock (one file for Python 3.11 to 3.13) with uv
	@"$(PYTHON)" -m venv .course/lock && .course/lock/bin/python -m pip install -q uv==0.13.9
	@.course/lock/bin/python -m uv pip compile pyproject.toml --extra course --universal --generate-hashes \
		--upgrade --quiet --custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove what the two commands made (not your answers and progress, not the data)
	rm -rf .venv site docs/chapters
	@find .course -mindepth 1 -maxdepth 1 ! -name '*.json' -exec rm -rf {} +  # progress, hints, an update's notes stay
