// Makes what the OSS Go SDK (v2) encrypts, and lets it read what Ossicle has encrypted, as sdks.py does for Python:
//
//	go run sdks.go record DIRECTORY
//	go run sdks.go check DIRECTORY
//
// It uses the package of the SDK that encrypts and decrypts, and no network. Run it in the folder it lies in.
package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/crypto"
)

const prefix = "x-oss-meta-client-side-encryption-"

var description = map[string]string{"key": "letters 2026", "owner": "<ann> 密钥"}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func plain(length int) []byte {
	body := make([]byte, length)
	for i := range body {
		body[i] = byte(i*31 + i/251)
	}
	return body
}

func read(name string) string {
	bytes, err := os.ReadFile(name)
	must(err)
	return string(bytes)
}

func builder(description map[string]string) crypto.ContentCipherBuilder {
	master, err := crypto.CreateMasterRsa(description, read("rsa.public.pem"), read("rsa.pem"))
	must(err)
	return crypto.CreateAesCtrCipher(master)
}

func record(directory string) {
	cipher, err := builder(description).ContentCipher()
	must(err)
	reader, err := cipher.EncryptContent(bytes.NewReader(plain(1000)))
	must(err)
	body, err := io.ReadAll(reader)
	must(err)
	made := cipher.GetCipherData()
	head := ""
	for _, field := range [][2]string{
		{"cek-alg", made.CEKAlgorithm},
		{"key", base64.StdEncoding.EncodeToString(made.EncryptedKey)},
		{"matdesc", made.MatDesc},
		{"start", base64.StdEncoding.EncodeToString(made.EncryptedIV)},
		{"wrap-alg", made.WrapAlgorithm},
	} {
		head += prefix + field[0] + ": " + field[1] + "\n"
	}
	must(os.WriteFile(filepath.Join(directory, "go-v2"), append([]byte(head+"\n"), body...), 0o644))
	fmt.Println("recorded go-v2")
}

func check(path string) {
	head, body, _ := strings.Cut(read(path), "\n\n")
	fields := map[string]string{}
	for _, line := range strings.Split(head, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		fields[strings.TrimPrefix(name, prefix)] = value
	}
	decoded := func(name string) string {
		bytes, err := base64.StdEncoding.DecodeString(fields[name])
		must(err)
		return string(bytes)
	}
	// The client of this SDK falls back on its own key where it does not know the description.
	cipher, err := builder(nil).ContentCipherEnv(crypto.Envelope{
		IV: decoded("start"), CipherKey: decoded("key"), WrapAlg: fields["wrap-alg"], CEKAlg: fields["cek-alg"],
	})
	must(err)
	for _, at := range []int{0, 16, 512, 992} {
		moved := cipher.GetCipherData().Clone()
		moved.SeekIV(uint64(at))
		there, err := cipher.Clone(moved)
		must(err)
		reader, err := there.DecryptContent(strings.NewReader(body[at:]))
		must(err)
		got, err := io.ReadAll(reader)
		must(err)
		if !bytes.Equal(got, plain(len(body))[at:]) {
			panic(path + ": the SDK read something else")
		}
	}
	fmt.Println("go v2 read", filepath.Base(path))
}

func main() {
	if os.Args[1] == "record" {
		record(os.Args[2])
		return
	}
	paths, err := filepath.Glob(filepath.Join(os.Args[2], "*"))
	must(err)
	for _, path := range paths {
		check(path)
	}
}
