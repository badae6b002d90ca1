#include "weft/app/commands.h"

int main(int argc, char** argv) { return weft::run_program(argc, argv); }
