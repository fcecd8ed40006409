// Estimates, with gguf-parser-go, the memory that llama.cpp takes for a GGUF file: the independent figure that ours is held
// against. Only the header of the file is read.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"

	gguf "github.com/gpustack/gguf-parser-go"
)

var cacheTypes = map[string]gguf.GGMLType{"f16": gguf.GGMLTypeF16, "q8_0": gguf.GGMLTypeQ8_0, "q4_0": gguf.GGMLTypeQ4_0}

func main() {
	log.SetFlags(0)
	context := flag.Int("context", 2048, "tokens of the KV cache: context x parallel requests, as Ollama asks llama.cpp for them")
	parallel := flag.Int("parallel", 1, "parallel requests")
	cache := flag.String("cache", "f16", "type of the KV cache: f16, q8_0 or q4_0")
	batch := flag.Int("batch", 512, "tokens of a batch")
	flash := flag.Bool("flash-attention", false, "whether flash attention is on")
	layers := flag.Int("gpu-layers", -1, "layers on the GPU; -1 for all")
	flag.Parse()
	cacheType, known := cacheTypes[*cache]
	if flag.NArg() != 1 || !known {
		log.Fatal("usage: gguf-parser [--context N] [--parallel N] [--cache f16|q8_0|q4_0] [--batch N] [--flash-attention] [--gpu-layers N] FILE")
	}
	file, err := gguf.ParseGGUFFile(flag.Arg(0), gguf.UseMMap(), gguf.SkipLargeMetadata())
	if err != nil {
		log.Fatal(err)
	}
	options := []gguf.GGUFRunEstimateOption{
		gguf.WithLLaMACppContextSize(int32(*context)), gguf.WithParallelSize(int32(*parallel)),
		gguf.WithLLaMACppCacheKeyType(cacheType), gguf.WithLLaMACppCacheValueType(cacheType),
		gguf.WithLLaMACppLogicalBatchSize(int32(*batch)), gguf.WithLLaMACppPhysicalBatchSize(int32(*batch)),
	}
	if *flash {
		options = append(options, gguf.WithFlashAttention())
	}
	if *layers >= 0 {
		options = append(options, gguf.WithLLaMACppOffloadLayers(uint64(*layers)))
	}
	answer := map[string]any{
		"metadata":     file.Metadata(),
		"architecture": file.Architecture(),
		"estimate":     file.EstimateLLaMACppRun(options...),
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		log.Fatal(err)
	}
}
