# Two images from one file: `operator` (the default) and `example`, the demonstration workload.
#
#   docker build -t riskbus-operator .
#   docker build --target example -t riskbus-example .
#
# BASE is any image with Python 3.11 or newer and its venv module.
ARG BASE=python:3.13-slim

FROM ${BASE} AS tools
# uv trusts what the base image's system trusts, so that a firm's own mirror works.
ENV UV_SYSTEM_CERTS=true UV_NO_CACHE=true
WORKDIR /src
COPY requirements/uv.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --quiet --no-cache-dir --require-hashes -r requirements/uv.txt -r requirements/build.txt

# The compiler stays in this stage. Where it cannot be installed, the wheel is made of Python alone: it works the same, slower.
# (The layer is cached either way: build with --no-cache once when packages can be had again.)
FROM tools AS compiler
RUN headers=$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))') \
 && { [ -e "$headers/Python.h" ] && command -v gcc > /dev/null; } \
 || { apt-get update -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
   && apt-get install -qq --yes --no-install-recommends gcc libc6-dev $([ -e "$headers/Python.h" ] || echo python3-dev); } \
 || echo "no compiler could be installed: riskbus goes without its compiled paths"

FROM compiler AS wheel
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY riskbus riskbus
COPY operator operator
RUN /opt/tools/bin/uv build --quiet --no-build-isolation --python /opt/tools/bin/python --wheel --out-dir /wheels

FROM tools AS dependencies
COPY requirements/riskbus.txt requirements/
RUN python3 -m venv --without-pip /opt/riskbus \
 && /opt/tools/bin/uv pip install --quiet --python /opt/riskbus --compile-bytecode --require-hashes -r requirements/riskbus.txt

FROM dependencies AS operator-dependencies
COPY requirements/operator.txt requirements/
RUN /opt/tools/bin/uv pip install --quiet --python /opt/riskbus --compile-bytecode --require-hashes -r requirements/operator.txt

FROM dependencies AS example-environment
COPY --from=wheel /wheels /wheels
RUN /opt/tools/bin/uv pip install --quiet --python /opt/riskbus --compile-bytecode --no-deps /wheels/*.whl

FROM operator-dependencies AS operator-environment
COPY --from=wheel /wheels /wheels
RUN /opt/tools/bin/uv pip install --quiet --python /opt/riskbus --compile-bytecode --no-deps /wheels/*.whl

FROM ${BASE} AS example
ENV PATH=/opt/riskbus/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
COPY --from=example-environment /opt/riskbus /opt/riskbus
COPY examples/intraday-jules/workload.py /opt/riskbus/workload.py
USER 65532:65532
ENTRYPOINT ["python", "/opt/riskbus/workload.py"]

FROM ${BASE} AS operator
ENV PATH=/opt/riskbus/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
COPY --from=operator-environment /opt/riskbus /opt/riskbus
USER 65532:65532
ENTRYPOINT ["riskbus-operator"]
CMD ["run"]
