package hub

// The public addresses that models come from, if nothing else is said. Nothing else in this module knows one.
const (
	publicEndpoint = "https://huggingface.co"     // Hub.Endpoint, HF_ENDPOINT
	publicRegistry = "https://registry.ollama.ai" // Hub.Registry
)

// endpointNames are how people write the first one in front of a repository's name, as it stands in a browser or behind ollama's run.
var endpointNames = []string{publicEndpoint + "/", "huggingface.co/", "hf.co/"}
