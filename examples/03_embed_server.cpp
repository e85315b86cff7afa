// Runs a sentiment server inside a program. Usage: 03_embed_server MODELS, a folder of NAME/VERSION/ model folders.
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include <qing/serve/registry/registry.h>
#include <qing/serve/server.h>
#include <qing/tensor/errors.h>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s MODELS\n", argv[0]);
    return 2;
  }
  try {
    auto registry = std::make_shared<qing::serve::Registry>(argv[1]);
    registry->load();
    qing::serve::ServerOptions options;
    options.port = 0;  // any free port
    qing::serve::Server server(options, registry);
    server.start();
    std::printf("listening on port %d; press Enter to stop\n", server.port());
    std::string line;
    std::getline(std::cin, line);
    server.stop();  // first answers the requests in flight
    server.wait();
  } catch (const qing::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
