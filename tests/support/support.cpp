// Anchors the support library; helpers live in the headers of this folder.
namespace weft::test {
int support_anchor() { return 0; }
}  // namespace weft::test
