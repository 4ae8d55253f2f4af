# The static binary of a release with its licences, and nothing else:
#   bash .ci/release v0.1.0
#   docker buildx build --platform linux/amd64,linux/arm64,linux/arm/v7,linux/riscv64 -t gemma4 .
#   docker run --rm -v "$PWD:/models:ro" gemma4 run -m /models/gemma-4-E2B-it-Q4_K_M.gguf "What is the capital of France?"
FROM scratch
ARG TARGETOS TARGETARCH TARGETVARIANT
COPY dist/${TARGETOS}-${TARGETARCH}${TARGETVARIANT}/ /
USER 65532:65532
ENTRYPOINT ["/gemma4"]
