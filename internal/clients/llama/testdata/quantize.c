// quantize writes weights as llama.cpp does, by the libraries in a folder.
//
//     quantize FOLDER rows TYPE COLUMNS ROWS IMPORTANCE   floats on stdin, after COLUMNS of importance if that is 1; blocks on stdout
//     quantize FOLDER model IN OUT FTYPE                  a GGUF file to another
//
// The libraries come without headers: what is declared here is what they have had for long.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const char *why) {
	fprintf(stderr, "quantize: %s\n", why);
	exit(1);
}

static void *open_library(const char *folder, const char *name) {
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	if (!library) fail(dlerror());
	return library;
}

static void *find(void *library, const char *name) {
	void *f = dlsym(library, name);
	if (!f) fail(dlerror());
	return f;
}

static float *floats(size_t n) {
	float *x = malloc(n * sizeof *x);
	if (!x || fread(x, sizeof *x, n, stdin) != n) fail("stdin ends early");
	return x;
}

static void rows(const char *folder, int type, int64_t columns, int64_t rows, int has_importance) {
	size_t (*quantize)(int, const float *, void *, int64_t, int64_t, int64_t, const float *) =
		find(open_library(folder, "libggml-base.so"), "ggml_quantize_chunk");
	float *importance = has_importance ? floats(columns) : NULL, *x = floats(columns * rows);
	void *blocks = malloc(columns * rows * sizeof *x);
	struct timespec from, to;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	size_t size = quantize(type, x, blocks, 0, rows, columns, importance);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	fprintf(stderr, "%.2f", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / (columns * rows)); // ns a weight
	if (fwrite(blocks, 1, size, stdout) != size) fail("stdout is closed");
}

// params begins as llama_model_quantize_params does, and is larger.
struct params {
	int32_t threads, ftype;
	char rest[1024];
};

static void model(const char *folder, const char *in, const char *out, int ftype) {
	void *ggml = open_library(folder, "libggml.v0.4.0.so"), *llama = open_library(folder, "libllama.v0.4.0.so");
	((void (*)(const char *))find(ggml, "ggml_backend_load_all_from_path"))(folder);
	((void (*)(void))find(llama, "llama_backend_init"))();
	struct params p = ((struct params(*)(void))find(llama, "llama_model_quantize_default_params"))();
	p.threads = 2;
	p.ftype = ftype;
	uint32_t (*quantize)(const char *, const char *, const struct params *) = find(llama, "llama_model_quantize");
	if (quantize(in, out, &p)) fail("llama_model_quantize has failed");
}

int main(int argc, char **argv) {
	if (argc == 7 && !strcmp(argv[2], "rows")) rows(argv[1], atoi(argv[3]), atoll(argv[4]), atoll(argv[5]), atoi(argv[6]));
	else if (argc == 6 && !strcmp(argv[2], "model")) model(argv[1], argv[3], argv[4], atoi(argv[5]));
	else fail("see the comment at its head");
	return 0;
}
