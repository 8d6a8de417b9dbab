# Two images from one file: `operator` (the default) and `example`, the demonstration workload.
#
#   docker build -t riskbus-operator .
#   docker build --target example -t riskbus-example .
#
# BASE is any image with Python 3.11 or newer and its venv module.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/uv.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --quiet --no-cache-dir --require-hashes -r requirements/uv.txt -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY riskbus riskbus
COPY operator operator
RUN /opt/build/bin/uv build --quiet --no-cache --no-build-isolation --python /opt/build/bin/python --wheel --out-dir /wheels

FROM build AS build-operator
COPY requirements/operator.txt requirements/
RUN python3 -m venv --without-pip /opt/riskbus \
 && /opt/build/bin/uv pip install --quiet --no-cache --python /opt/riskbus --require-hashes -r requirements/operator.txt \
 && /opt/build/bin/uv pip install --quiet --no-cache --python /opt/riskbus --no-deps --compile-bytecode /wheels/*.whl

FROM build AS build-example
COPY requirements/riskbus.txt requirements/
RUN python3 -m venv --without-pip /opt/riskbus \
 && /opt/build/bin/uv pip install --quiet --no-cache --python /opt/riskbus --require-hashes -r requirements/riskbus.txt \
 && /opt/build/bin/uv pip install --quiet --no-cache --python /opt/riskbus --no-deps --compile-bytecode /wheels/*.whl

FROM ${BASE} AS example
ENV PATH=/opt/riskbus/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
COPY --from=build-example /opt/riskbus /opt/riskbus
COPY examples/intraday-jules/workload.py /opt/riskbus/workload.py
USER 65532:65532
ENTRYPOINT ["python", "/opt/riskbus/workload.py"]

FROM ${BASE} AS operator
ENV PATH=/opt/riskbus/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1
COPY --from=build-operator /opt/riskbus /opt/riskbus
USER 65532:65532
ENTRYPOINT ["riskbus-operator"]
CMD ["run"]
