package hub

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestANameIsTheFirstThatFits(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"e4b", "here.gguf", "org/repo.gguf", "folder/e2b/x"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("e2b", 0o700); err != nil {
		t.Fatal(err)
	}
	h := Hub{Home: t.TempDir(), Names: map[string]string{
		"e2b": "org/E2B:Q4_K_M", "e4b": "never", "mine": "org/repo.gguf", "o": "ollama:gemma4:e2b", "at": "org/x:Q8_0@v1",
		"lost": "lost.gguf", "bad": "bad",
	}}
	for text, want := range map[string]name{
		"e4b":                                 {file: "e4b"},
		"here.gguf":                           {file: "here.gguf"},
		"./org/repo.gguf":                     {file: "./org/repo.gguf"},
		"mine":                                {file: "org/repo.gguf"},
		"e2b":                                 {owner: "org", repo: "E2B", tag: "Q4_K_M"}, // the folder of that name is no file
		"E2B":                                 {owner: "org", repo: "E2B", tag: "Q4_K_M"},
		"e2b:Q8_0":                            {owner: "org", repo: "E2B", tag: "Q8_0"},
		"e2b@v2":                              {owner: "org", repo: "E2B", tag: "Q4_K_M", revision: "v2"},
		"at:a/b.gguf":                         {owner: "org", repo: "x", tag: "a/b.gguf", revision: "v1"},
		"o":                                   {ollama: true, owner: "library", repo: "gemma4", tag: "e2b"},
		"o:12b":                               {ollama: true, owner: "library", repo: "gemma4", tag: "12b"},
		"ollama:gemma4":                       {ollama: true, owner: "library", repo: "gemma4", tag: "latest"},
		"ggml-org/gemma-4":                    {owner: "ggml-org", repo: "gemma-4"},
		"ggml-org/gemma-4:Q8_0":               {owner: "ggml-org", repo: "gemma-4", tag: "Q8_0"},
		"a/b:BF16/x-00001-of-00002.gguf":      {owner: "a", repo: "b", tag: "BF16/x-00001-of-00002.gguf"},
		"a/b:x.gguf@refs/pr/1":                {owner: "a", repo: "b", tag: "x.gguf", revision: "refs/pr/1"},
		"hf.co/a/b:Q8_0":                      {owner: "a", repo: "b", tag: "Q8_0"},
		publicEndpoint + "/a/b":               {owner: "a", repo: "b"},
		"huggingface.co/a/b@" + commit(3):     {owner: "a", repo: "b", revision: commit(3)},
		"unsloth/gemma-4-E2B-it-GGUF:F16@a.b": {owner: "unsloth", repo: "gemma-4-E2B-it-GGUF", tag: "F16", revision: "a.b"},
	} {
		n, err := h.parse(text)
		want.text = n.text
		if err != nil || n != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, n, err, want)
		}
		if again, err := h.parse(n.String()); err != nil || again.String() != n.String() {
			t.Errorf("%s: %s becomes %s, %v", text, n, again, err)
		}
	}
	for text, want := range map[string]string{
		"missing.gguf":         "no file missing.gguf",
		"./e3b":                "no file ./e3b",
		"/no/where":            "no file /no/where",
		"a/b/c.gguf":           "a/b:c.gguf",
		"a/b/c":                "did you mean a/b:c?",
		"./folder":             "is a folder",
		`C:\models\x.gguf`:     "no file",
		"e3b":                  "at, bad, e2b, e4b, lost, mine, o",
		"hf:a/b:Q8_0":          "did you mean a/b:Q8_0?",
		"gemma4:e2b":           "did you mean ollama:gemma4:e2b?",
		"":                     "neither a file nor a short name",
		"a/":                   "no OWNER/REPO",
		"/":                    "is a folder",
		"a/b:":                 "Q",
		"a/b@":                 "x",
		"../b":                 "no file",
		"a..b/c":               "no OWNER/REPO",
		"con/b":                "no OWNER/REPO",
		"a/b:../x":             "neither a part",
		"a/b:/x":               "neither a part",
		"a/b@../x":             "no branch",
		"a/b:x\x00":            "neither a part",
		"https://example.com/": "only addresses",
		"lost":                 "lost.gguf",
		"bad":                  `"bad": the short name stands for bad`,
		"mine:Q8_0":            "a file has no :Q8_0",
		"o@v1":                 "no @REVISION",
		"ollama:a/../b":        "expected ollama:",
	} {
		_, err := h.parse(text)
		if text == "a/b:" || text == "a/b@" { // an empty one is as none
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		says(t, err, want)
	}
}

func TestShortNamesOfTheStoreComeBeforeOurs(t *testing.T) {
	h := Hub{Home: t.TempDir()}
	for _, short := range []string{"e2b", "e4b", "12b", "26b", "31b"} {
		n, err := h.parse(short)
		if err != nil || n.owner == "" || n.tag != "Q4_K_M" {
			t.Errorf("%s: %+v, %v", short, n, err)
		}
	}
	table := "# mine\nE2B\tother/e2b:Q8_0   # better\n\nwork  " + filepath.Join(h.Home, "a b.gguf") + "\nbroken\n"
	for _, path := range []string{"names.txt", "a b.gguf"} {
		if err := os.WriteFile(filepath.Join(h.Home, path), []byte(table), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for short, want := range map[string]string{
		"e2b": "other/e2b:Q8_0", "work": filepath.Join(h.Home, "a b.gguf"), "e4b": "ggml-org/gemma-4-E4B-it-GGUF:Q4_K_M",
	} {
		if n, err := h.parse(short); err != nil || n.String() != want {
			t.Errorf("%s is %s, %v; want %s", short, n, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(h.Home, "names.txt"), make([]byte, maxNames+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := h.parse("e2b")
	says(t, err, "the table of short names", "more than")
}

func TestTheStoreIsWhereTheEnvironmentSays(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"GEMMA4_HOME", "XDG_DATA_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	h := Hub{}
	place := func(want string) {
		t.Helper()
		if got, err := h.Folder(); err != nil || got != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	if runtime.GOOS == "linux" {
		place(filepath.Join(home, ".local", "share", "gemma4"))
		t.Setenv("HOME", "")
		if _, err := h.Folder(); err == nil || !strings.Contains(err.Error(), "GEMMA4_HOME") {
			t.Errorf("without a home: %v", err)
		}
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	t.Setenv("HOME", home)
	if got, _ := h.Folder(); strings.Contains(got, "relative") {
		t.Errorf("got %s", got)
	}
	t.Setenv("XDG_DATA_HOME", filepath.Join(home, "data"))
	place(filepath.Join(home, "data", "gemma4"))
	t.Setenv("GEMMA4_HOME", filepath.Join(home, "models"))
	place(filepath.Join(home, "models"))
	h.Home = "x"
	place("x")
}

func TestAFileIsAModelWithAllItsParts(t *testing.T) {
	t.Chdir(t.TempDir())
	h := Hub{Home: "store", Caches: []Cache{}}
	for _, path := range []string{"x.gguf", "y-00001-of-00002.gguf", "y-00002-of-00002.gguf", "z-00001-of-00002.gguf"} {
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string][]string{
		"x.gguf": {"x.gguf"}, "z-00001-of-00002.gguf": {"z-00001-of-00002.gguf"},
		"y-00002-of-00002.gguf": {"y-00001-of-00002.gguf", "y-00002-of-00002.gguf"},
	} {
		m, err := h.Pull(t.Context(), text, With{Projector: true})
		if err != nil || !slices.Equal(m.Files, want) || m.Bytes != int64(5*len(want)) || m.Place != "file" || m.Name != text {
			t.Errorf("%s: %+v, %v", text, m, err)
		}
	}
}

func TestFileNamesOfServersAreNeverPaths(t *testing.T) {
	for _, name := range []string{
		"", ".", "..", "../x", "/x", "a/b", `a\b`, "a:b", "C:", "a\x00b", "a\nb", "a\x7fb", "\xff",
		"CON", "con", "con.gguf", "Nul ", "nul .x", "com1",
		"LPT9.gguf", "com¹.gguf", "conin$", "a.", "a ", ".hidden", "-rf", "a*", "a?", `"a"`, "<a>", "a|b", strings.Repeat("a", 201),
	} {
		if isFileName(name) {
			t.Errorf("%q is taken for a name", name)
		}
		if name != "a/b" && isRepositoryPath("a/"+name+"/b") {
			t.Errorf("%q is taken within a path", name)
		}
	}
	for _, name := range []string{
		"a", "gemma-4-E2B-it-Q4_K_M.gguf", "console.gguf", "com10", "nullable", "großartig.gguf", "a b", "a..b", strings.Repeat("a", 200),
	} {
		if !isFileName(name) || !isRepositoryPath(name+"/"+name) {
			t.Errorf("%q is not taken", name)
		}
	}
}

func TestChoiceOfARepositorysFiles(t *testing.T) {
	ggml := "gemma-4-E2B-it-Q4_0 gemma-4-E2B-it-Q4_K_M gemma-4-E2B-it-Q8_0 mmproj-gemma-4-E2B-it-Q8_0 mmproj-gemma-4-E2B-it-bf16 " +
		"mtp-gemma-4-E2B-it-Q4_0 mtp-gemma-4-E2B-it-Q8_0"
	unsloth := "BF16/x-BF16-00001-of-00002 BF16/x-BF16-00002-of-00002 MTP/x-F16-MTP MTP/x-Q8_0-MTP imatrix_unsloth " +
		"mmproj-BF16 mmproj-F16 mmproj-F32 x-IQ4_XS x-Q8_0 x-UD-Q4_K_M x-UD-Q4_K_XL x-F16"
	maker := "gemma-4-E2B_q4_0-it gemma-4-E2B-it-mmproj"
	two := "Q4/model-Q4_0 Q4/mmproj-F32 Q8/model-Q8_0 Q8/mmproj-F16 mmproj-Q8_0 eagle3-x dflash-y dspark-z"
	for _, test := range []struct{ files, tag, want string }{
		{ggml, "", "gemma-4-E2B-it-Q4_K_M mmproj-gemma-4-E2B-it-Q8_0 mtp-gemma-4-E2B-it-Q4_0"},
		{ggml, "q8_0", "gemma-4-E2B-it-Q8_0 mmproj-gemma-4-E2B-it-Q8_0 mtp-gemma-4-E2B-it-Q8_0"},
		{ggml, "Q4_0", "gemma-4-E2B-it-Q4_0 mmproj-gemma-4-E2B-it-Q8_0 mtp-gemma-4-E2B-it-Q4_0"},
		{ggml, "Q4", ""},
		{ggml, "Q5_K_M", ""},
		{ggml, "mmproj-gemma-4-E2B-it-bf16.gguf", "mmproj-gemma-4-E2B-it-bf16"},
		{unsloth, "", "x-UD-Q4_K_M mmproj-BF16 MTP/x-Q8_0-MTP"},
		{unsloth, "F16", "x-F16 mmproj-F16 MTP/x-F16-MTP"},
		{unsloth, "BF16", "BF16/x-BF16-00001-of-00002 BF16/x-BF16-00002-of-00002 mmproj-BF16 MTP/x-F16-MTP"},
		{unsloth, "Q4_K_XL", "x-UD-Q4_K_XL mmproj-BF16 MTP/x-Q8_0-MTP"},
		{unsloth, "x-BF16-00002-of-00002.gguf", "BF16/x-BF16-00001-of-00002 BF16/x-BF16-00002-of-00002 mmproj-BF16 MTP/x-F16-MTP"},
		{maker, "", "gemma-4-E2B_q4_0-it gemma-4-E2B-it-mmproj"},
		{maker, "Q4_0", "gemma-4-E2B_q4_0-it gemma-4-E2B-it-mmproj"},
		{two, "Q8_0", "Q8/model-Q8_0 Q8/mmproj-F16"},
		{two, "", "Q8/model-Q8_0 Q8/mmproj-F16"},
		{two, "Q4", "Q4/model-Q4_0 Q4/mmproj-F32"},
		{"imatrix mmproj-x mtp-x", "", ""},
		{"x-00001-of-00003 x-00002-of-00003", "", ""},
		{"x-00002-of-00002", "", ""},
		{"z a", "", "z"},
		{"", "", ""},
	} {
		var files []entry
		for _, path := range strings.Fields(test.files) {
			files = append(files, entry{path: path + ".gguf"})
		}
		files = append(files, entry{path: "Q4_K_M.txt"})
		c, err := choose(files, test.tag)
		var got []string
		for _, e := range c.model {
			got = append(got, e.path)
		}
		for _, e := range []*entry{c.projector, c.drafter} {
			if e != nil {
				got = append(got, e.path)
			}
		}
		if text := strings.ReplaceAll(strings.Join(got, " "), ".gguf", ""); text != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q of %s: got %q, %v; want %q", test.tag, test.files, text, err, test.want)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", test.tag, err)
		}
	}
}

func TestNamesThatComeWithThePackageAreReadWhole(t *testing.T) {
	got := parseNames(builtinNames)
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, []string{"12b", "26b", "31b", "e2b", "e4b"}) {
		t.Errorf("got %q", keys)
	}
}

func TestAddressesFromABrowserAreNames(t *testing.T) {
	for path, want := range map[string]string{
		"":                       "o/r",
		"/":                      "o/r",
		"?library=gguf":          "o/r",
		"/tree/main":             "o/r",
		"/tree/v1":               "o/r@v1",
		"/blob/main/a-Q8_0.gguf": "o/r:a-Q8_0.gguf",
		"/blob/v1/BF16/a.gguf":   "o/r:BF16/a.gguf@v1",
		"/resolve/main/a-Q8_0.gguf?download=true": "o/r:a-Q8_0.gguf",
		"/discussions/1":       "",
		"/blob/main/../a.gguf": "",
	} {
		for _, begin := range endpointNames {
			n, err := parseLong(begin + "o/r" + path)
			if err == nil && n.String() != want || err != nil && want != "" {
				t.Errorf("%s is %s, %v, expected %q", begin+"o/r"+path, n, err, want)
			}
		}
	}
	for _, text := range []string{"a//b", "a/b//", "/a/b"} {
		if n, err := parseLong(text); err == nil || strings.Contains(err.Error(), "/:") {
			t.Errorf("%q is %s, %v", text, n, err)
		}
	}
}
